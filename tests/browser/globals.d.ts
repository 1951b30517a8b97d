// Put into each page by newPerson.
declare global {
  var tereScreen: () => string;
}
export {};
