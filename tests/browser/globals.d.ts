// Put into each page by newPerson.
declare global {
  var tereScreen: () => string;
  // What a test of the page notes there.
  var opened: string[];
  var tereEcho: Promise<number | undefined>;
  // Put into a page by the tests of notifications.
  var tereLooks: boolean;
  var tereMayNotify: boolean;
  var tereNotifications: { title: string; body: string }[];
  var tereNotification: { onclick(): void };
  // Put into a page by the test of accessibility.
  var axe: { run(context: object): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> };
}
export {};
