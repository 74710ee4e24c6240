// What a click on the status bar offers.

import { type QuickPickItem, QuickPickItemKind, commands, window } from 'vscode';
import type { Pauses } from './pauses';
import type { Server } from './server';

interface Entry extends QuickPickItem {
  readonly command?: string;
}

export async function showMenu(server: Server, pauses: Pauses): Promise<void> {
  const entry = await window.showQuickPick(entries(server, pauses), { title: 'dgemma' });
  if (entry?.command !== undefined) await commands.executeCommand(entry.command);
}

function entries(server: Server, pauses: Pauses): Entry[] {
  const document = window.activeTextEditor?.document;
  const pause = pauses.reason(document);
  return [
    ...(server.last.state === 'missing' ? [{ label: '$(cloud-download) Install the server…', command: 'dgemma.install' }] : []),
    ...(pause === undefined
      ? [
          ...(document === undefined ? [] : [
            { label: '$(debug-pause) Pause in this file', command: 'dgemma.pauseDocument' },
            { label: `$(debug-pause) Pause in ${document.languageId}`, command: 'dgemma.pauseLanguage' },
          ]),
          { label: '$(debug-pause) Pause everywhere', command: 'dgemma.pauseEverywhere' },
        ]
      : [{ label: '$(play) Resume', description: `paused ${pause}`, command: 'dgemma.resume' }]),
    { label: '', kind: QuickPickItemKind.Separator },
    { label: '$(debug-restart) Restart the server', command: 'dgemma.restart' },
    { label: '$(output) Show the log', command: 'dgemma.showLog' },
    { label: '$(pulse) Doctor', description: 'check the installation', command: 'dgemma.doctor' },
    { label: '$(gear) Settings', command: 'dgemma.settings' },
    { label: '$(book) Walkthrough', command: 'dgemma.walkthrough' },
  ];
}
