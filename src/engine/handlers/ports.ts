import type { StepKind } from '../../plan/step.ts';
import type { ReadPorts, WritePorts } from '../../ports/bundle.ts';
import type { StepHandlers } from '../step-handler.ts';

/** What handlers may use: they look again right before they change anything. */
export interface HandlerPorts extends ReadPorts, WritePorts {}

/** Handlers of some kinds, put together by createStepHandlers. */
export type HandlersOf<K extends StepKind> = Pick<StepHandlers, K>;
