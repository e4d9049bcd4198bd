import { expect, test } from 'vitest';
import { parsePackageRecords, parseSimulatedInstall } from '../../../src/lab/s3-server/apt.ts';
import { parseIndexTargets } from '../../../src/lab/s3-server/debian-mirror.ts';

test('the packages of a simulated install are those of the Inst lines, not of the Conf lines', () => {
  const output = [
    'Reading package lists...',
    'The following NEW packages will be installed:',
    '  libc6 radosgw',
    'Inst gcc-15-base (15.2.0-4 Debian:unstable [amd64])',
    'Inst libc6 (2.41-12 Debian:unstable [amd64]) [libgcc-s1:amd64 ]',
    'Conf libc6 (2.41-12 Debian:unstable [amd64])',
    'Inst radosgw (20.2.4+ds-2 Debian:unstable [amd64])',
  ].join('\n');
  expect(parseSimulatedInstall(output)).toEqual(['gcc-15-base', 'libc6', 'radosgw']);
});

test('package records end at empty lines, and long descriptions do not disturb', () => {
  const output =
    'Package: libc6\nVersion: 2.41-12\nSection: libs\nDescription: GNU C Library\n Package: not a field\n\nPackage: radosgw\nSection: admin\nVersion: 20.2.4+ds-2\n';
  expect(parsePackageRecords(output)).toEqual([
    { name: 'libc6', version: '2.41-12', section: 'libs' },
    { name: 'radosgw', version: '20.2.4+ds-2', section: 'admin' },
  ]);
});

test('Debian is recognised among the repositories by its origin, or by its URI while no list has been read', () => {
  const read = [
    'Google Cloud|sdk|https://packages.example/apt/',
    'Debian|bookworm-security|http://mirror.example/debian-security/',
    'Debian|bookworm|http://mirror.example/pool/deb/',
    'Debian|bookworm-updates|http://mirror.example/pool/deb/',
  ].join('\n');
  expect(parseIndexTargets(read)).toEqual(['http://mirror.example/pool/deb']);
  expect(parseIndexTargets('$(ORIGIN)|$(CODENAME)|http://mirror.example/debian/\n')).toEqual(['http://mirror.example/debian']);
  expect(parseIndexTargets('Ubuntu|noble|http://mirror.example/ubuntu/\n')).toEqual([]);
});
