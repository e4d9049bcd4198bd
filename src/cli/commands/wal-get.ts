import { fetchWal, type WalRequest } from '../../composition-wal.ts';
import type { CommandContext } from '../command-context.ts';

/** Brings one WAL file and says by the exit code what became of it: the numbers are those of bin/spoke-wal-get, and so is what is printed. */
export async function walGetCommand(request: WalRequest, { signal, output }: CommandContext): Promise<void> {
  const { code, cause } = await fetchWal(request, signal);
  if (cause !== '') process.stderr.write(`${cause}\n`);
  output.exitCode = code;
}
