/** The 64-bit `system_identifier` that initdb gives a cluster and every physical copy shares (pg_control_system()). */
export type SystemIdentifier = bigint & { readonly __brand: 'SystemIdentifier' };

/** Reads the decimal form. Throws RangeError on anything that is not an unsigned 64-bit decimal. */
export function parseSystemIdentifier(text: string): SystemIdentifier {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn) throw new RangeError(`not a system identifier: "${text}"`);
  return BigInt(text) as SystemIdentifier;
}
