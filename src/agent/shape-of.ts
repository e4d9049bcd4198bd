import type * as z from 'zod/mini';
import type { StepBase, StepKind, StepOf } from '../plan/step.ts';

/** A schema for each property of a kind of step, beside those that all steps have; the compiler names what is missing. */
export type ShapeOf<K extends StepKind> = { readonly [P in keyof Omit<StepOf<K>, keyof StepBase | 'kind'>]-?: z.ZodMiniType };
