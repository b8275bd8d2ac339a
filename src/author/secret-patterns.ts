import { blake3 } from '../system/blake3.ts'
import type { HeadForm } from '../system/head-search.mjs'
import type { Quad } from '../system/quad-scan.mjs'

/** What secrets look like: names of files that hold them, and forms of keys and tokens in text. */

export interface NamedSecret {
  readonly what: string
  readonly name: RegExp
  /** With it, the file counts only when a line of it has this form. */
  readonly line?: RegExp
}

export interface TokenForm {
  readonly what: string
  readonly form: RegExp
  /** Four characters of everything that has the form, such as are rare elsewhere. */
  readonly quad: Quad
}

/** By path, `/`-separated. */
export const SECRET_NAMES: readonly NamedSecret[] = [
  {
    what: 'a file of environment secrets',
    name: /(^|\/)\.env(\.(?!example$|sample$|template$|dist$)[^/]*)?$/i,
  },
  { what: 'an SSH private key', name: /(^|\/)id_(rsa|dsa|ecdsa|ed25519)(_sk)?$/ },
  { what: 'a key store', name: /\.(p12|pfx|jks|keystore|kdbx|ppk)$/i },
  { what: 'a file of passwords', name: /(^|\/)[._]netrc$/ },
  { what: 'a file of passwords', name: /(^|\/)\.(git-credentials|pgpass|my\.cnf|htpasswd)$/ },
  { what: 'cloud credentials', name: /(^|\/)\.aws\/credentials$/ },
  {
    what: 'cloud credentials',
    name: /(^|\/)(\.config\/gcloud\/|application_default_credentials\.json$)/,
  },
  { what: 'cluster credentials', name: /(^|\/)\.kube\/config$/ },
  {
    what: 'a registry token',
    name: /(^|\/)\.npmrc$/,
    line: /_authToken\s*=|_password\s*=|_auth\s*=/,
  },
  { what: 'a registry password', name: /(^|\/)\.pypirc$/, line: /^\s*password\s*[:=]/ },
  { what: 'a registry password', name: /(^|\/)\.docker\/config\.json$/, line: /"auth"\s*:/ },
  {
    what: 'tokens of an R session',
    name: /(^|\/)\.Renviron$/,
    line: /^[A-Z0-9_]*(TOKEN|SECRET|PASSWORD|PAT|API_?KEY)[A-Z0-9_]*\s*=\s*\S/,
  },
]

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Each runs in time linear in the line: fixed beginnings, bounded repeats. */
export const TOKEN_FORMS: readonly TokenForm[] = [
  {
    what: 'a private key',
    form: /-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----/,
    quad: ['-', 'B', 'E', 'G'],
  },
  { what: 'a PuTTY private key', form: /^PuTTY-User-Key-File-\d:/, quad: ['P', 'u', 'T', 'T'] },
  {
    what: 'an AWS access key',
    form: /\b(?:AKIA|ASIA)(?=[A-Z2-7]{0,15}[2-7])(?![A-Z2-7]{9}EXAMPLE)[A-Z2-7]{16}\b/,
    quad: ['A', 'KS', 'I', 'A'],
  },
  {
    what: 'a GitHub token',
    form: /\bgh[pousr]_[A-Za-z0-9]{36,255}\b/,
    quad: ['g', 'h', 'pousr', '_'],
  },
  {
    what: 'a GitHub token',
    form: /\bgithub_pat_[A-Za-z0-9_]{22,255}\b/,
    quad: ['b', '_', 'p', 'a'],
  },
  { what: 'a GitLab token', form: /\bglpat-[A-Za-z0-9_-]{20,255}/, quad: ['l', 'p', 'a', 't'] },
  {
    what: 'a Slack token',
    form: /\bxox[abeoprs]-[A-Za-z0-9-]{10,255}/,
    quad: ['x', 'o', 'x', 'abeoprs'],
  },
  {
    what: 'a Hugging Face token',
    form: /\bhf_[A-Za-z0-9]{34,64}\b/,
    quad: ['h', 'f', '_', ALPHANUMERIC],
  },
  { what: 'a Google API key', form: /\bAIza[0-9A-Za-z_-]{35}\b/, quad: ['A', 'I', 'z', 'a'] },
  { what: 'an npm token', form: /\bnpm_[A-Za-z0-9]{36}\b/, quad: ['n', 'p', 'm', '_'] },
  {
    what: 'a PyPI token',
    form: /\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,255}/,
    quad: ['y', 'p', 'i', '-'],
  },
  { what: 'a Stripe key', form: /\b[sr]k_live_[A-Za-z0-9]{20,255}\b/, quad: ['k', '_', 'l', 'i'] },
  {
    what: 'an API key',
    form: /\bsk-(?:ant|proj|svcacct)-[A-Za-z0-9_-]{30,255}/,
    quad: ['s', 'k', '-', 'aps'],
  },
]

/** Finds a text that holds any of the forms in one of its lines, and perhaps more. */
export const ANY_TOKEN: HeadForm = {
  form: new RegExp(TOKEN_FORMS.map(({ form }) => `(?:${form.source})`).join('|'), 'm'),
  quads: TOKEN_FORMS.map(({ quad }) => quad),
}

/** Another one wherever what is looked for is another. */
export const SECRETS_VERSION: string = blake3(
  [
    'first MiB, lines of 4096',
    ...SECRET_NAMES.map(({ name, line }) => `${name} ${line ?? ''}`),
    ...TOKEN_FORMS.map(({ form }) => `${form}`),
  ].join('\n'),
)
