// The bundler collects imported stylesheets into tere.css.
declare module '*.css';
