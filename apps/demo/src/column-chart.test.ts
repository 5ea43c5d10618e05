import { expect, test } from 'vitest'
import { columnChart } from './column-chart.ts'

test('values become columns, the last one at the right, and what is above the most is cut off', () => {
  expect(columnChart([1, 4, 8, 99], { width: 6, height: 1, most: 8 })).toEqual(['  ▁▄██'])
  expect(columnChart([0, 4, 8], { width: 2, height: 1, most: 8 })).toEqual(['▄█'])
})

test('a high plot has a line for every eight levels, from the top down', () => {
  expect(columnChart([2, 3, 4], { width: 3, height: 2, most: 4 })).toEqual([' ▄█', '███'])
})

test('little is never drawn as nothing, and nothing never as little', () => {
  expect(columnChart([0.001, 0], { width: 2, height: 1, most: 1_000 })).toEqual(['▁ '])
  expect(columnChart([], { width: 3, height: 1, most: 0 })).toEqual(['   '])
})
