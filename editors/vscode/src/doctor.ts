// What is installed and what is wrong, as a page that can be pasted into a report.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  type Disposable, type ExtensionContext, ProgressLocation, type TextDocumentContentProvider, Uri, version, window, workspace,
} from 'vscode';
import { howToInstall, machine, searchServer } from './search';
import type { Server } from './server';

/** The server's own doctor loads the model and fills a region. */
const PATIENCE_MS = 120_000;

/** The pages are made by us, and are not files. */
const SCHEME = 'dgemma-doctor';

export class Doctor implements Disposable, TextDocumentContentProvider {
  private readonly provider = workspace.registerTextDocumentContentProvider(SCHEME, this);
  private content = '';
  private count = 0;

  constructor(
    private readonly context: ExtensionContext,
    private readonly server: Server,
  ) {}

  provideTextDocumentContent(): string {
    return this.content;
  }

  async show(): Promise<void> {
    const options = { location: ProgressLocation.Notification, title: 'dgemma: checking the installation' };
    this.content = await window.withProgress(options, () => report(this.context, this.server));
    const page = Uri.from({ scheme: SCHEME, path: 'dgemma.md', query: String(++this.count) });
    await window.showTextDocument(await workspace.openTextDocument(page));
  }

  dispose(): void {
    this.provider.dispose();
  }
}

async function report(context: ExtensionContext, server: Server): Promise<string> {
  const { found, looked } = await searchServer();
  const { version: ours } = context.extension.packageJSON as { version: string };
  const { state, message = '' } = server.last;
  return [
    '# dgemma', '',
    `- extension ${ours}, VS Code ${version}, ${process.platform} ${process.arch}, on ${machine()}`,
    `- trusted folder: ${workspace.isTrusted ? 'yes' : 'no: servers and models that it names are not used'}`,
    `- server: ${found === undefined ? `not found; \`${howToInstall()}\` installs it` : `\`${found.command.join(' ')}\`, found by ${found.origin}`}`,
    `- state: ${state}${message === '' ? '' : `: ${message}`}`, '',
    '## Where the extension looked for the server', '', ...looked.map((place) => `- ${place}`), '',
    ...(found === undefined ? [] : await serverReport(found.command)),
  ].join('\n');
}

async function serverReport(command: readonly [string, ...string[]]): Promise<string[]> {
  const about = await said(command, '--version');
  const doctor = await said(command, 'doctor');
  return ['## What the server says', '', '```text', about, '', doctor, '```', ''];
}

/** Everything a command prints, also when it fails. */
async function said([program, ...options]: readonly [string, ...string[]], wish: string): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, [...options, wish], { timeout: PATIENCE_MS });
    return (stdout + stderr).trim();
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return (stdout + stderr).trim() || String(error);
  }
}
