export function readTextHead(path: string): string | null
export function headHolds(path: string, form: RegExp): boolean
