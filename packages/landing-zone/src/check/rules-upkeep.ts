import { aboutEach, all, at, expecting, inProduction, missing, type Rule } from './rule.ts'

/** Backups, patches, and nothing without a purpose (PCI-DSS 4.0.1, 2, 6 and 10). */
export const upkeepRules: readonly Rule[] = [
  aboutEach({
    id: 'backup-locked',
    pci: ['10.3.3', '9.4.1'],
    wants: 'In production backups cannot be deleted before their time, by anybody.',
    types: ['AWS::Backup::BackupVault'],
    atLeastOne: true,
    when: inProduction,
    wrong: missing('LockConfiguration.MinRetentionDays', 'LockConfiguration.ChangeableForDays', 'EncryptionKeyArn'),
  }),
  {
    id: 'backup-allowed',
    pci: ['10.3.3'],
    wants: 'Whoever makes the copies may read what is copied, objects included.',
    violations: (graph) =>
      graph
        .ofType('AWS::Backup::BackupSelection')
        .filter(({ properties }) => {
          const policies = JSON.stringify(
            graph.named(at(properties, 'BackupSelection.IamRoleArn')).map((role) => role.properties.ManagedPolicyArns),
          )
          return !['PolicyForBackup', 'PolicyForS3Backup'].every((policy) => policies.includes(policy))
        })
        .map(({ id }) => ({ at: id, what: 'may not read everything' })),
  },
  aboutEach({
    id: 'patched',
    pci: ['6.3.3'],
    wants: 'Machines get security updates every week, one after the other.',
    types: ['AWS::SSM::MaintenanceWindowTask'],
    atLeastOne: true,
    wrong: all(expecting({ TaskArn: 'AWS-RunPatchBaseline', MaxConcurrency: '1' }), ({ TaskInvocationParameters }) =>
      JSON.stringify(TaskInvocationParameters ?? '').includes('"Install"') ? undefined : 'only looks',
    ),
  }),
  {
    id: 'serves-a-requirement',
    pci: ['2.2.4', '12.5.1'],
    wants: 'Every resource says which requirement it serves.',
    violations: (graph) =>
      graph.resources.filter(({ serves }) => serves.length === 0).map(({ id }) => ({ at: id, what: 'serves none' })),
  },
]
