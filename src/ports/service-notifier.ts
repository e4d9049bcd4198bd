/**
 * What the service manager that started us is told (sd_notify(3)). Every method resolves once it was told, or at once where
 * nobody asked; none rejects: a service manager that does not listen stops no work.
 */
export interface ServiceNotifier {
  /** How often `alive` has to be called; undefined where nobody watches. Half of what the service manager waits. */
  readonly watchdogIntervalMs: number | undefined;
  /** Start-up, or a reload, is complete. */
  ready(status: string): Promise<void>;
  /** The configuration is read anew; `ready` follows. */
  reloading(): Promise<void>;
  /** The end has begun. */
  stopping(status: string): Promise<void>;
  /** One line for `systemctl status`. */
  status(text: string): Promise<void>;
  /** The watchdog's sign of life. */
  alive(): Promise<void>;
}
