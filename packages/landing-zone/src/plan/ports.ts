export interface PortRange {
  readonly from: number
  readonly to: number
}

export const anyPort: PortRange = { from: 0, to: 65_535 }
/** Where answers go to. Source: Amazon VPC user guide, "Ephemeral ports", the range that covers every client. */
export const answerPorts: PortRange = { from: 1024, to: 65_535 }
