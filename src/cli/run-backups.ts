/**
 * What `spoke-backup backups` starts from. The build makes a bundle of it without the code of all other commands: half as much to read
 * for the command that one waits for most often.
 */
export { cancellation, runCli } from './run-cli.ts';
