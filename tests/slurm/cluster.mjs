// A Slurm cluster of two nodes on loopback, as root, for one test: munge, slurmctld, two slurmd, all
// with folders of their own, ended when the test ends.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { temporaryFolder, until } from '../support/penstock.mjs';

const kPrograms = ['/usr/sbin/munged', '/usr/sbin/slurmctld', '/usr/sbin/slurmd', '/usr/bin/sbatch'];

// Why there can be no cluster here; undefined where there can be one.
export function missing() {
  const absent = kPrograms.filter((program) => !existsSync(program));
  if (absent.length > 0) {
    return `${absent.join(', ')} missing: apt-get install slurmctld slurmd slurm-client munge`;
  }
  return process.getuid() === 0 ? undefined : 'Slurm\'s daemons need root';
}

const configOf = (folder, ports, socket) => `ClusterName=penstock
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${socket}
CryptoType=crypto/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
PropagateResourceLimits=NONE
KillWait=2
MinJobAge=60
SchedulerParameters=sched_interval=1
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool-%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd-%n.log
NodeName=n1 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=1 RealMemory=1000
NodeName=n2 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=1 RealMemory=1000
PartitionName=main Nodes=n1,n2 Default=YES State=UP OverSubscribe=FORCE:8 LLN=YES
`;

// {env}: the environment in which Slurm's commands speak to this cluster.
export async function startCluster(t) {
  // Before the folder goes, and while Slurm's daemons still answer: without them scancel waits a minute.
  const ends = [];
  t.after(async () => {
    for (const end of ends.reverse()) await end();
  });
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  for (const name of ['state', 'spool-n1', 'spool-n2']) mkdirSync(join(folder, name));
  const conf = join(folder, 'slurm.conf');
  // Below 1024, where no other program's connection can have them.
  const ports = [917, 918, 919];
  const munge = join(folder, 'munge');
  mkdirSync(munge, { mode: 0o755 });
  const [key, socket] = [join(munge, 'key'), join(munge, 'socket')];
  writeFileSync(key, Buffer.from(Array.from({ length: 128 }, (_, i) => i + 1)), { mode: 0o600 });
  const id = (flag) => Number(execFileSync('id', [flag, 'munge'], { encoding: 'utf8' }));
  for (const path of [munge, key]) chownSync(path, id('-u'), id('-g'));
  writeFileSync(conf, configOf(folder, ports, socket));

  const env = { ...process.env, SLURM_CONF: conf };
  const start = (program, words, ready) => {
    const child = spawn(program, words, { env, stdio: 'ignore', detached: true });
    ends.push(() => child.kill('SIGKILL'));
    return until(`${program} is there`, ready);
  };
  await start('setpriv', ['--reuid=munge', '--regid=munge', '--clear-groups', '/usr/sbin/munged', '--foreground', '--force',
    `--key-file=${key}`, `--socket=${socket}`, `--pid-file=${munge}/pid`, `--log-file=${munge}/log`,
    `--seed-file=${munge}/seed`], () => existsSync(socket));
  const ask = (...words) => {
    try {
      return execFileSync(words[0], words.slice(1), { env, encoding: 'utf8', stdio: 'pipe' });
    } catch {
      return '';
    }
  };
  await start('/usr/sbin/slurmctld', ['-D', '-c'], () => ask('sinfo', '-h').includes('main'));
  for (const node of ['n1', 'n2']) {
    await start('/usr/sbin/slurmd', ['-D', '-N', node], () => true);
  }
  await until('both nodes are idle', () => /idle.*n\[1-2\]/.test(ask('sinfo', '-h')));
  ends.push(async () => {
    ask('scancel', '--signal=KILL', '--full', '--state=RUNNING');
    await until('no job runs', () => ask('squeue', '-h', '-t', 'RUNNING,COMPLETING') === '');
  });
  return { env: { SLURM_CONF: conf }, ask };
}
