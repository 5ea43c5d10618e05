/** All rows of one key, from either side; a side that has none gives an empty list. */
export interface Joined<Key, Left, Right> {
  readonly key: Key
  readonly left: readonly Left[]
  readonly right: readonly Right[]
}

export interface Ordered<Key, Row> {
  readonly rows: AsyncIterable<Row> | Iterable<Row>
  keyOf(row: Row): Key
}

/**
 * Joins two streams that ascend by the same key, holding only the rows of one key at a time. Text keys are ASCII, where
 * JavaScript's order and the bytewise one agree. Fails when a stream does not ascend: a join of unordered streams would
 * report differences that are none.
 */
export async function* mergeJoin<Key extends string | bigint, Left, Right>(
  left: Ordered<Key, Left>,
  right: Ordered<Key, Right>,
): AsyncGenerator<Joined<Key, Left, Right>> {
  const lefts = groups(left)
  const rights = groups(right)
  let [l, r] = await Promise.all([nextOf(lefts), nextOf(rights)])
  while (l !== undefined || r !== undefined) {
    const key = lesser(l?.key, r?.key)
    const hasLeft = l !== undefined && l.key === key
    const hasRight = r !== undefined && r.key === key
    yield { key, left: hasLeft && l ? l.rows : [], right: hasRight && r ? r.rows : [] }
    if (hasLeft) l = await nextOf(lefts)
    if (hasRight) r = await nextOf(rights)
  }
}

interface Group<Key, Row> {
  readonly key: Key
  readonly rows: Row[]
}

async function* groups<Key extends string | bigint, Row>(ordered: Ordered<Key, Row>): AsyncGenerator<Group<Key, Row>> {
  let group: Group<Key, Row> | undefined
  for await (const row of ordered.rows) {
    const key = ordered.keyOf(row)
    if (group !== undefined && key === group.key) {
      group.rows.push(row)
      continue
    }
    if (group !== undefined) {
      if (key < group.key) throw new Error('a stream to be joined does not ascend')
      yield group
    }
    group = { key, rows: [row] }
  }
  if (group !== undefined) yield group
}

async function nextOf<Item>(items: AsyncGenerator<Item>): Promise<Item | undefined> {
  const next = await items.next()
  return next.done === true ? undefined : next.value
}

function lesser<Key extends string | bigint>(left: Key | undefined, right: Key | undefined): Key {
  if (left === undefined) return right as Key
  return right === undefined || left <= right ? left : right
}
