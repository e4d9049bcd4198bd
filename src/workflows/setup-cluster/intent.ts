/** What is to be set up. Plain JSON. */
export type SetupIntent =
  | { readonly cluster: string; readonly what: 'primary'; readonly restartAllowed: boolean }
  | { readonly cluster: string; readonly what: 'replica'; readonly node: string; readonly restartAllowed: boolean }
  | { readonly cluster: string; readonly what: 'pgbouncer' }
  | { readonly cluster: string; readonly what: 'endpoints' };
