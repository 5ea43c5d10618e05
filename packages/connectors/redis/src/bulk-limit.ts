/** What servers take as one argument (proto-max-bulk-len), which managed services let nobody raise. */
export const mostBulkBytes = 512 * 1024 * 1024
