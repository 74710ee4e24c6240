// The server's process: started by its command, and what it says when it ends.

import { type ChildProcess, spawn } from 'node:child_process';

/** Of what it writes to stderr, the last lines are kept: they explain its end. */
const KEPT_LINES = 40;

const EXPLAINS = /error|exception|no module|not found|cannot|denied/i;

export class ServerProcess {
  private readonly lines: string[] = [];
  private child: ChildProcess | undefined;

  constructor(
    private readonly command: readonly [string, ...string[]],
    private readonly folder: string | undefined,
  ) {}

  get program(): string {
    return this.command[0];
  }

  /** Start it; rejects when there is no such program. */
  async start(): Promise<ChildProcess> {
    const [program, ...options] = this.command;
    const child = spawn(program, options, { cwd: this.folder, stdio: 'pipe', windowsHide: true });
    this.child = child;
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return child;
  }

  /** Keep a line that it wrote to stderr. */
  note(line: string): void {
    if (line.trim() === '') return;
    this.lines.push(line.trim());
    if (this.lines.length > KEPT_LINES) this.lines.shift();
  }

  /** How it ended, in words: "ended with status 1 (No module named dgemma_lsp)". */
  obituary(): string {
    const { exitCode = null, signalCode = null } = this.child ?? {};
    const end = signalCode === null ? `ended with status ${exitCode ?? 'unknown'}` : `was killed by ${signalCode}`;
    const words = this.lines.findLast((line) => EXPLAINS.test(line)) ?? this.lines.at(-1);
    return words === undefined ? end : `${end} (${words})`;
  }

  /** Wait until it has ended, but not for long. */
  async ended(milliseconds: number): Promise<void> {
    const child = this.child;
    const runs = child?.exitCode === null && child.signalCode === null;
    if (!runs) return;
    await new Promise((resolve) => {
      child.once('close', resolve);
      setTimeout(resolve, milliseconds);
    });
  }
}
