import { SpokeError } from '../../../errors.ts';

/** Other bytes are there under the name of a file: nothing is overwritten, somebody has to look. */
export class OtherBytes extends SpokeError {
  constructor(message: string) {
    super('REFUSED_PRECONDITION', message, {
      hint: 'Two servers archive into one place, or one was set back: find out which, before anything is removed.',
    });
  }
}
