import { readContent, writeDataDirectory } from '../fakes/data-directory.ts';
import type { FakeServer } from '../fakes/server.ts';
import { POSTGRES_USER } from '../fakes/world.ts';
import type { RestoreStory } from './restore-scenario.ts';

/** What somebody else does to the destination after it was confirmed. */
export type Interference =
  | 'puts another data directory there'
  | 'moves it away'
  | 'starts a server in it'
  | 'writes a file into the empty directory'
  | 'takes the name for the old one';

export const INTERFERENCES: readonly Interference[] = [
  'puts another data directory there',
  'moves it away',
  'starts a server in it',
  'writes a file into the empty directory',
  'takes the name for the old one',
];

const AWAY = '/srv/moved-away';

/** Does it. Gives what tells afterwards which of somebody else's things was touched; undefined where there is nothing to do. */
export function interfere(story: RestoreStory, what: Interference): (() => readonly string[]) | undefined {
  const { dataDirectory, oldDataDirectory } = story.intent;
  const { fs } = story.world;
  const isThere = fs.directory(dataDirectory) !== undefined;
  switch (what) {
    case 'puts another data directory there': {
      const wasRunning = isThere ? moveAway(story) : false;
      putStranger(story, dataDirectory);
      return watch(story, dataDirectory, wasRunning ? start(story) : undefined);
    }
    case 'moves it away':
      if (!isThere) return undefined;
      moveAway(story);
      return watch(story, AWAY, undefined);
    case 'starts a server in it': {
      // In place the server that runs there is stopped: that is what was confirmed.
      if (story.intent.inPlaceNode !== null) return undefined;
      const isStopped = fs.directory(dataDirectory)?.children.has('PG_VERSION') === true && serverIn(story) === undefined;
      return isStopped ? watch(story, dataDirectory, start(story)) : undefined;
    }
    case 'writes a file into the empty directory':
      if (fs.directory(dataDirectory)?.children.size !== 0) return undefined;
      fs.writeFile(`${dataDirectory}/somebody-elses.txt`, 'precious');
      return () => (everyFile(story).some((path) => path.endsWith('/somebody-elses.txt')) ? [] : ['the file was removed']);
    case 'takes the name for the old one':
      if (oldDataDirectory === null || fs.directory(oldDataDirectory) !== undefined) return undefined;
      putStranger(story, oldDataDirectory);
      return watch(story, oldDataDirectory, undefined);
  }
}

function everyFile({ world }: RestoreStory): readonly string[] {
  return [...world.fs.walk()].map(([path]) => path);
}

function serverIn({ world, intent }: RestoreStory): FakeServer | undefined {
  const directory = world.fs.directory(intent.dataDirectory);
  return directory === undefined ? undefined : world.serverOn(directory.identity);
}

function start(story: RestoreStory): FakeServer {
  const { dataDirectory, port, socketDirectory } = story.intent;
  story.world.fs.makeDirectory(socketDirectory, POSTGRES_USER);
  const files = { logFile: '/tmp/somebody-elses.log', configFile: '/etc/postgresql.conf' };
  const server = story.world.startServer({
    dataDirectory,
    port,
    socketDirectory,
    binDirectory: '',
    owner: POSTGRES_USER,
    settings: {},
    ...files,
  });
  server.tick();
  return server;
}

/** Says whether a server ran there. */
function moveAway(story: RestoreStory): boolean {
  const running = serverIn(story);
  running?.kill();
  story.world.fs.rename(story.intent.dataDirectory, AWAY);
  return running !== undefined;
}

/** A copy of the same cluster, say: a replica that was seeded again. */
function putStranger({ world, intent }: RestoreStory, path: string): void {
  writeDataDirectory(world.fs, path, {
    control: { systemIdentifier: intent.systemIdentifier, state: 'shut down', timeline: 9, redo: '0/9000028', consistentAt: '0/9000028' },
    content: { lsn: '0/9000028', timeline: 9 },
    owner: POSTGRES_USER,
    postgresqlConf: '',
  });
}

function watch({ world }: RestoreStory, path: string, server: FakeServer | undefined): () => readonly string[] {
  const before = world.fs.directory(path);
  const content = before === undefined ? undefined : readContent(before)?.lsn;
  return () => {
    const after = world.fs.directory(path);
    const isSame = after?.identity === before?.identity && (after === undefined ? undefined : readContent(after)?.lsn) === content;
    return [
      ...(isSame ? [] : [`${path} was touched`]),
      ...(server === undefined || world.servers.has(server) ? [] : [`the server that was started in ${path} was stopped`]),
    ];
  };
}
