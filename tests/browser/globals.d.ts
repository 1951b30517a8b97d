// Put into each page by newPerson.
declare global {
  var tereScreen: () => string;
  // What a test of the page notes there.
  var opened: string[];
  var copied: string | undefined;
  var tereEcho: Promise<number | undefined>;
}
export {};
