import type { OperationContext } from './operation.ts';

/** A file for applications and a program that is told of each change. */
export interface EndpointsRequestOfFile {
  readonly file: string;
  readonly text: string;
  /** Program and arguments. */
  readonly hook?: readonly string[];
  /** In the environment of the hook. */
  readonly values: Readonly<Record<string, string>>;
}

export interface EndpointsReader {
  /** Whether the file has this text and the hook, where there is one, was told of it. */
  isCurrent(file: string, text: string): Promise<boolean>;
}

export interface EndpointsWriter {
  /**
   * Replaces the file in one step, then runs the hook. Should either fail, `isCurrent` is false until it was done again. Throws
   * FILE_SYSTEM_FAILED, and TOOL_FAILED where the hook fails.
   */
  publish(request: EndpointsRequestOfFile, context: OperationContext): Promise<void>;
}
