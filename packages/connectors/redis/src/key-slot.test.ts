/** Goal: slots are those of the specification, and sets of them are told the same way whatever their order. */
import { expect, test } from 'vitest'
import { keySlot, SlotSet, tagOf } from './key-slot.ts'

test.each([
  ['123456789', 0x31c3],
  ['foo', 12_182],
  ['user{1000}.a', keySlot(Buffer.from('1000'))],
  ['a{}b', keySlot(Buffer.from('a{}b'))],
  ['{{x}}', keySlot(Buffer.from('{x'))],
  ['', 0],
])('slot of %j', (key, slot) => {
  expect(keySlot(Buffer.from(key))).toBe(slot)
})

test('an empty tag counts as none', () => {
  expect(keySlot(Buffer.from('a{}b'))).not.toBe(keySlot(Buffer.from('a{}c')))
})

test('a tag leads into its slot', () => {
  for (const slot of [0, 1, 5_461, 16_383]) expect(keySlot(Buffer.from(`replatform:{${tagOf(slot)}}:m`))).toBe(slot)
})

test('a set of slots', () => {
  const set = new SlotSet([
    [200, 300],
    [0, 99],
    [100, 150],
  ])
  expect(String(set)).toBe('0-150,200-300')
  expect([set.size, set.first, set.has(150), set.has(151)]).toEqual([252, 0, true, false])
  expect(set.overlaps(new SlotSet([[151, 199]]))).toBe(false)
  expect(set.overlaps(new SlotSet([[300, 400]]))).toBe(true)
})
