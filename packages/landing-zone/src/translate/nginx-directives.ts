/** What of nginx is the same in every context: what needs nothing on AWS, and what has no successor. */
import type { Block } from './config-text.ts'
import type { Member } from './front.ts'
import type { Left, Outcomes } from './outcome.ts'

/** What is the same in every context: nothing to do, or nothing that can be done. With all that stands inside it. */
export function ordinaryNginx(block: Block, outcomes: Outcomes): void {
  const [keyword = ''] = block.words
  const as = notNeeded.find(([pattern]) => pattern.test(keyword))?.[1]
  if (as) outcomes.notNeeded(block, keyword, as)
  else outcomes.left(block, keyword, leftBy.find(([pattern]) => pattern.test(keyword))?.[1] ?? unknownDirective)
  for (const inner of block.body ?? []) ordinaryNginx(inner, outcomes)
}

const notNeeded: readonly (readonly [RegExp, string])[] = [
  [
    /^(user|worker_|pid$|daemon$|error_log$|events$|use$|multi_accept$|accept_mutex|thread_pool|load_module$|pcre_jit$)/,
    'the balancer of AWS runs itself',
  ],
  [/^(access_log|log_format|log_not_found|open_log_file_cache|rewrite_log)$/, 'access logs of the balancer'],
  [
    /^(sendfile|tcp_nopush|tcp_nodelay|keepalive_|aio|directio|output_buffers|postpone_output|reset_timedout|send_timeout|client_(body|header)_(buffer|timeout)|large_client_header|server_tokens|server_names_hash|types_hash|types$|default_type|charset|variables_hash|map_hash|reuseport|underscores_in_headers|ignore_invalid_headers|resolver|http2|msie_|merge_slashes|chunked_)/,
    'balancers of AWS do it, or it is about files',
  ],
  [
    /^ssl_(certificate|certificate_key|protocols|ciphers|prefer_server_ciphers|session_|dhparam|ecdh_curve|stapling|trusted_certificate|buffer_size|conf_command|early_data|reject_handshake)/,
    'certificate of ACM, and the policy of the listener',
  ],
  [
    /^(proxy_(http_version|redirect|buffer|buffers|buffering|busy_|connect_timeout|send_timeout|request_buffering|next_upstream|socket_keepalive|max_temp|temp|headers_hash|ssl_)|real_ip_|set_real_ip_from)/,
    'the balancer of AWS does it',
  ],
]

export const limitOther: Left = {
  id: 'nginx-limits',
  title: 'A limit counts something other than requests by address.',
  remedy: 'Let the service limit it, or write a rule of the web filter.',
}

const leftBy: readonly (readonly [RegExp, Left])[] = [
  [
    /^include$/,
    {
      id: 'nginx-include',
      title: 'A file that is included was not found.',
      remedy: 'Run the translation where it stands, or give its content.',
    },
  ],
  [
    /^(gzip|brotli)/,
    { id: 'nginx-compression', title: 'A balancer of AWS does not compress.', remedy: 'Compress in the service.' },
  ],
  [
    /^(root|alias|index|try_files|autoindex|expires|etag|open_file_cache.*)$/,
    {
      id: 'nginx-files',
      title: 'nginx gives files out by itself.',
      remedy: 'Put them into a bucket behind a CDN, or keep nginx on the machines of the service.',
    },
  ],
  [
    /^(fastcgi_|uwsgi_|scgi_|grpc_|memcached_)/,
    {
      id: 'nginx-other-protocol',
      title: 'nginx translates between HTTP and another protocol.',
      remedy: 'Keep it on the machines of the service, in front of the program.',
    },
  ],
  [
    /^(lua_|.*_by_lua|js_|perl)/,
    {
      id: 'nginx-programs',
      title: 'Programs inside nginx do not run in a balancer of AWS.',
      remedy: 'Move what they do into the service.',
    },
  ],
  [
    /^(rewrite|if|set|map|geo|split_clients|return|break|sub_filter.*)$/,
    {
      id: 'nginx-computed',
      title: 'Something is computed or rewritten.',
      remedy: 'Write it as a route of the service in estate.yaml, or do it in the service.',
    },
  ],
  [
    /^(auth_|satisfy)/,
    {
      id: 'nginx-authentication',
      title: 'nginx asks who somebody is, and would not any more.',
      remedy: 'Let the service ask, or use the authentication of the balancer.',
    },
  ],
  [
    /^(add_header|proxy_hide_header|more_set_headers|proxy_cookie_.*)$/,
    { id: 'nginx-headers', title: 'Headers of answers are changed.', remedy: 'Let the service set them.' },
  ],
  [
    /^(proxy_cache.*|fastcgi_cache.*)$/,
    { id: 'nginx-cache', title: 'Answers are cached.', remedy: 'Put a CDN in front, or cache in the service.' },
  ],
  [
    /^(client_max_body_size)$/,
    {
      id: 'nginx-body-size',
      title: 'The size of requests is not limited by the balancer.',
      remedy: 'Limit it in the service.',
    },
  ],
  [
    /^(error_page|recursive_error_pages|proxy_intercept_errors)$/,
    {
      id: 'nginx-error-pages',
      severity: 'note',
      title: 'Error pages of your own are not shown by a balancer of AWS.',
      remedy: 'Let the service answer them.',
    },
  ],
  [
    /^ssl_(verify_client|client_certificate|crl|verify_depth)$/,
    {
      id: 'nginx-client-certificates',
      title: 'Clients prove themselves by certificates here, and would not have to any more.',
      remedy:
        'Let the service ask for them behind a network balancer (protocol: tcp), or use mutual TLS of the balancer.',
    },
  ],
  [/^limit_/, limitOther],
]

export const unknownDirective: Left = {
  id: 'nginx-directive',
  title: 'A directive has no successor here, or is not known.',
  remedy: 'Read it and decide: what it protected or changed is not in the templates.',
}

/** Port 80 where none is named, as nginx has it. */
export function memberOf(address: string): Member | null {
  const match = /^([A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(address)
  return match ? { host: match[1] as string, port: Number(match[2] ?? 80) } : null
}
