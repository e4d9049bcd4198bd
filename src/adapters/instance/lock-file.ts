/**
 * postmaster.pid, or the `.lock` beside a Unix socket (PostgreSQL: src/include/utils/pidfile.h). A socket's lock file
 * has the first five lines only.
 */
export interface LockFile {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly port?: number;
  readonly socketDirectory?: string;
  /** System V key and id of the shared memory segment. */
  readonly sharedMemory?: { readonly key: bigint; readonly id: bigint };
  /** `starting`, `ready`, `standby` or `stopping`. */
  readonly status?: string;
}

/** Undefined where the first two lines are not there yet or are something else. */
export function parseLockFile(text: string): LockFile | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  const [pidText, dataDirectory, , portText, socketDirectory, , sharedMemory, status] = lines;
  // A stand-alone backend (postgres --single) writes its pid negated.
  const pid = Math.abs(Number(pidText));
  if (!/^-?\d+$/.test(pidText ?? '') || pid === 0 || !dataDirectory) return undefined;
  const memory = /^(\d+)\s+(\d+)$/.exec(sharedMemory ?? '');
  return {
    pid,
    dataDirectory,
    ...(/^\d+$/.test(portText ?? '') ? { port: Number(portText) } : {}),
    ...(socketDirectory ? { socketDirectory } : {}),
    ...(memory?.[1] && memory[2] ? { sharedMemory: { key: BigInt(memory[1]), id: BigInt(memory[2]) } } : {}),
    ...(status ? { status } : {}),
  };
}

/** A System V shared memory segment. */
export interface SharedMemorySegment {
  /** Unsigned, 32 bits. */
  readonly key: bigint;
  readonly id: bigint;
  readonly creatorPid: number;
  readonly attached: number;
}

/** Reads /proc/sysvipc/shm: key, shmid, perms, size, cpid, lpid, nattch, … (the key is printed signed). */
export function parseSharedMemory(text: string): readonly SharedMemorySegment[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [key, id, , , creatorPid, , attached] = line.trim().split(/\s+/);
      if (key === undefined || id === undefined || attached === undefined || !/^-?\d+$/.test(key)) return [];
      return [{ key: BigInt.asUintN(32, BigInt(key)), id: BigInt(id), creatorPid: Number(creatorPid), attached: Number(attached) }];
    });
}
