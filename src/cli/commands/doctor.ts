import { formatInstantIso } from '../../domain/time/instant.ts';
import { diagnose, type Diagnosis } from '../../workflows/doctor/doctor.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { findingLines, findingToJson } from '../render/archive.ts';
import { openSession } from '../session.ts';

/** `spoke-backup doctor` */
export async function doctorCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { archive_command: expectedArchiveCommand } = session.ports.engine.archivingSettings();
  const diagnosis = await diagnose(session.cluster, { expectedArchiveCommand }, session.ports, { signal: context.signal });
  if (diagnosis.findings.length > 0) context.output.exitCode = 3;
  const { now, findings, blind } = diagnosis;
  context.output.result({ cluster: session.cluster.name, now: formatInstantIso(now), findings: findings.map(findingToJson), blind }, () =>
    renderDiagnosis(diagnosis, session.cluster.name),
  );
}

/** What is the matter, with what was seen of it; or that nothing is. */
function renderDiagnosis({ findings, blind }: Diagnosis, cluster: string): string {
  const critical = findings.filter(({ severity }) => severity === 'critical').length;
  const count = `${critical} critical, ${findings.length - critical} ${findings.length - critical === 1 ? 'warning' : 'warnings'}`;
  return [
    findings.length === 0 ? `Nothing is the matter with ${cluster}` : `${cluster}: ${count}`,
    ...findings.flatMap((finding) => {
      const [first = '', ...rest] = findingLines(finding);
      return ['', first, ...finding.evidence.map((line) => `  seen: ${line}`), ...rest];
    }),
    ...(blind.length === 0 ? [] : ['', ...blind.map((line) => `not looked at: ${line}`)]),
  ].join('\n');
}
