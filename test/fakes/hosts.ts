import { Outbox } from '../../src/adapters/ssh/outbox.ts';
import { createSshHosts, type SshHosts } from '../../src/adapters/ssh/hosts.ts';
import { type AgentParts, serveAgent } from '../../src/agent/serve.ts';
import type { ProcessRunner } from '../../src/ports/process-runner.ts';

/** How the agent of a host in memory is made; the rest is usual. */
export type MemoryHost = Pick<AgentParts, 'open'> & Partial<AgentParts>;

export interface MemoryHosts extends SshHosts {
  /** As if the cable had been cut: the agents hear no more, and nobody hears them. */
  cut(): void;
  /** How many agents there are. */
  readonly agentCount: number;
}

/** Hosts in memory, each with one node: the real ends of a connection, and a pipe where ssh would be. */
export function memoryHosts(hosts: Readonly<Record<string, MemoryHost>>): MemoryHosts {
  const wires = new Set<() => void>();
  const runner: ProcessRunner = {
    async run({ argv, inputStream, consumeStdout }) {
      const host = hosts[argv.at(-2) ?? ''];
      if (host === undefined || inputStream === undefined || consumeStdout === undefined) throw new Error('that is not ssh');
      const [toAgent, fromAgent] = [new Outbox(), new Outbox()];
      const cable = { isCut: false };
      const cut = () => {
        cable.isCut = true;
        toAgent.close();
        fromAgent.close();
      };
      wires.add(cut);
      void forward(inputStream, toAgent, cable);
      const agent = serveAgent({
        version: '0.1.0',
        hostname: 'db2',
        signal: new AbortController().signal,
        ...host,
        input: toAgent,
        write: (line) => fromAgent.put(line),
      });
      const agentEnded = agent.finally(() => {
        wires.delete(cut);
        fromAgent.close();
      });
      await consumeStdout(fromAgent);
      if (!cable.isCut) await agentEnded;
      else await agentEnded.catch(() => {});
      return {
        exitCode: cable.isCut ? 255 : 0,
        stdout: '',
        stderrTail: cable.isCut ? 'client_loop: send disconnect: Broken pipe' : '',
        durationMs: 0,
      };
    },
  };
  const places = Object.keys(hosts).map((node) => [node, { ssh: { host: node, port: 22, command: ['spoke-backup'] }, node }] as const);
  return {
    ...createSshHosts({ runner, cluster: 'main', places: new Map(places) }),
    cut: () => wires.forEach((cut) => cut()),
    get agentCount() {
      return wires.size;
    },
  };
}

async function forward(from: AsyncIterable<Uint8Array>, to: Outbox, cable: { readonly isCut: boolean }): Promise<void> {
  for await (const line of from) if (!cable.isCut) to.put(new TextDecoder().decode(line).slice(0, -1));
  to.close();
}
