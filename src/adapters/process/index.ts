export { createProcessRunner } from './runner.ts';
