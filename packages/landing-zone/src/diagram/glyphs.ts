/** Line drawings for what stands in a picture, each on a square of 40: our own, in the manner of AWS's icons. */
const ring = (x: number, y: number, radius: number) =>
  `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${radius * 2} 0a${radius} ${radius} 0 1 0 ${-radius * 2} 0`

export const glyphs = {
  balancer: `${ring(9, 20, 3.5)}M12.5 20h14M18 20l9-9M18 20l9 9${ring(30, 10, 3)}${ring(30, 20, 3)}${ring(30, 30, 3)}`,
  bank: 'M7 16l13-8 13 8zM10 19v9M17 19v9M23 19v9M30 19v9M7 32h26',
  bell: 'M11 28V18c0-12 18-12 18 0v10l3 2H8zM17 33h6',
  bucket: 'M9 11c0-3 22-3 22 0l-3 19c0 3-16 3-16 0zM9 11c0 3 22 3 22 0',
  bolt: 'M22 7L12 22h7l-2 11 11-16h-7z',
  chart: 'M7 7v26h26M13 28v-8M20 28V14M27 28V10',
  cloud: 'M12 29c-8 0-8-11 0-11 0-10 15-11 17-2 7-1 8 13 0 13z',
  container: 'M20 6l13 7v14l-13 7-13-7V13zM7 13l13 7 13-7M20 20v14',
  database: 'M9 11c0-4 22-4 22 0v18c0 4-22 4-22 0zM9 11c0 4 22 4 22 0M9 20c0 4 22 4 22 0',
  document: 'M11 7h11l7 7v19H11zM22 7v7h7M15 20h10M15 26h10',
  eye: `M5 20c7-11 23-11 30 0-7 11-23 11-30 0z${ring(20, 20, 4)}`,
  folder: 'M6 11h10l3 4h15v16H6z',
  gear: `${ring(20, 20, 7)}M20 6v7M20 27v7M6 20h7M27 20h7M10 10l5 5M25 25l5 5M30 10l-5 5M15 25l-5 5`,
  house: 'M10 33V8h20v25zM15 13h3M22 13h3M15 19h3M22 19h3M15 25h3M22 25h3M6 33h28',
  key: `${ring(14, 20, 6)}M20 20h14M28 20v6M33 20v4`,
  list: 'M9 7h22v26H9zM13 14l2 2 4-4M13 24l2 2 4-4M22 15h5M22 25h5',
  lock: 'M10 18h20v14H10zM14 18v-4c0-8 12-8 12 0v4M20 23v4',
  machine: 'M12 12h16v16H12zM16 12V7M24 12V7M16 33v-5M24 33v-5M12 16H7M12 24H7M33 16h-5M33 24h-5',
  people: `${ring(20, 13, 6)}M8 33c0-14 24-14 24 0`,
  plug: `${ring(20, 20, 5)}M6 20h9M25 20h9M20 6v9M20 25v9`,
  queue: 'M5 15h8v10H5zM16 15h8v10h-8zM27 15h8v10h-8z',
  scaling: 'M8 8h15v15H8zM17 17h15v15H17z',
  search: `${ring(17, 17, 9)}M24 24l9 9`,
  shield: 'M20 6l12 4v9c0 8-5 12-12 15-7-3-12-7-12-15v-9z',
  trail: 'M8 10h24M8 17h24M8 24h16M8 31h10',
  vault: `M7 8h26v24H7z${ring(20, 20, 6)}M20 14v4M20 22v4M14 20h4M22 20h4`,
  wall: 'M7 10h26v20H7zM7 17h26M7 23h26M15 10v7M25 10v7M20 17v6M15 23v7M25 23v7',
  wayOut: 'M7 11h26v18H7zM13 20h13M21 15l5 5-5 5',
} as const
export type Glyph = keyof typeof glyphs
