import { sqlStateOf } from './postgres-error.ts';

const OBJECT_NOT_IN_PREREQUISITE_STATE = '55000';

/** Asks a second time where the server left recovery in the middle of the statement. */
export async function onceMoreAtPromotion<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    if (sqlStateOf(thrown) !== OBJECT_NOT_IN_PREREQUISITE_STATE) throw thrown;
    return await ask();
  }
}
