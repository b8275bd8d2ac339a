declare module 'hypercore/lib/messages.js' {
  const messages: { readonly wire: { readonly data: object } }
  export default messages
}
