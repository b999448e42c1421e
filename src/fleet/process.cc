#include "fleet/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

// glibc 2.36 forgot to say that these are C functions.
extern "C" {
#include <sys/pidfd.h>
}

#include "base/check.h"

namespace penstock::fleet {
namespace {

// All that the child needs, made before the fork: after it, a child of a program with threads may
// call only what is safe in a signal handler, which allocation is not.
struct Plan {
  std::vector<char*> arguments;  // Borrowed, null at the end.
  int input;
  int output;
  int failure;  // The child writes errno here when it cannot run the program.
  pid_t parent;
  bool pinned;
  cpu_set_t cores;  // Where `pinned`.
};

[[noreturn]] void ReportAndExit(const Plan& plan) {
  const int error = errno;
  const ssize_t written = write(plan.failure, &error, sizeof error);
  _exit(written == sizeof error ? 127 : 126);
}

void ResetSignals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void BecomeProgram(const Plan& plan) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) ReportAndExit(plan);
  if (getppid() != plan.parent) _exit(126);  // The parent died before the line above.
  setpgid(0, 0);
  if (plan.pinned && sched_setaffinity(0, sizeof plan.cores, &plan.cores) != 0) ReportAndExit(plan);
  ResetSignals();
  if (dup2(plan.input, STDIN_FILENO) < 0 || dup2(plan.output, STDOUT_FILENO) < 0 ||
      dup2(plan.output, STDERR_FILENO) < 0) {
    ReportAndExit(plan);
  }
  // Ours are close-on-exec one by one; this covers what a library opened without it.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execv(plan.arguments.front(), plan.arguments.data());
  ReportAndExit(plan);
}

// Forks with all signals blocked, so that no handler of ours runs in the child.
pid_t ForkBlocked(const Plan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = fork();
  if (child == 0) BecomeProgram(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return child;
}

// A copy above the standard streams, so that dup2() in the child overwrites none of its sources.
Descriptor CopyAbove(int descriptor) {
  return Descriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

struct Pipe {
  Descriptor read;
  Descriptor write;  // Not open when there are no descriptors left; errno says so.
};

Pipe OpenPipe() {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  const Descriptor write(ends[1]);
  return {.read = Descriptor(ends[0]), .write = CopyAbove(write.get())};
}

// 0 when the program runs: exec closed the pipe.
int ReadFailure(int pipe_end) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(pipe_end, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

cpu_set_t SetOf(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
  return set;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string ProcessExit::ToString() const {
  if (!signalled) return fmt::format("exited with status {}", number);
  const char* description = sigdescr_np(number);
  return fmt::format("was killed by signal {} ({})", number,
                     description == nullptr ? "unknown" : description);
}

Result<Process> Process::Start(const ProcessOptions& options) {
  CHECK(!options.command.empty() && options.output >= 0, "a process needs a program and an output");
  std::vector<std::string> words = options.command;
  const std::string& program = options.command.front();

  const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor input = CopyAbove(null.get());
  const Descriptor output = CopyAbove(options.output);
  Pipe failure = OpenPipe();
  if (!input || !output || !failure.write) return Fail(SystemError("start", program, errno));
  const pid_t child = ForkBlocked({.arguments = Pointers(words),
                                   .input = input.get(),
                                   .output = output.get(),
                                   .failure = failure.write.get(),
                                   .parent = getpid(),
                                   .pinned = !options.cores.empty(),
                                   .cores = SetOf(options.cores)});
  if (child < 0) return Fail(SystemError("start", program, errno));
  failure.write = Descriptor();  // Else the pipe would never end.

  // Not reaped yet, so the number cannot have passed to another process.
  Descriptor pidfd(pidfd_open(child, 0));
  if (!pidfd) {
    const int error = errno;
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return Fail(SystemError("watch", program, error));
  }
  Process process(child, std::move(pidfd));
  const int error = ReadFailure(failure.read.get());
  if (error != 0) return Fail(SystemError("run", program, error));
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)), exit_(other.exit_) {}

Process::~Process() {
  if (pid_ == 0 || exit_) return;
  Kill();
  (void)Wait(0);
}

std::optional<ProcessExit> Process::TryWait() {
  if (!exit_) exit_ = Wait(WNOHANG);
  return exit_;
}

void Process::Terminate() {
  if (!exit_) Signal(SIGTERM);
}

void Process::Kill() {
  if (!exit_) Signal(SIGKILL);
}

void Process::Signal(int signal) const { pidfd_send_signal(pidfd_.get(), signal, nullptr, 0); }

std::optional<ProcessExit> Process::Wait(int flags) const {
  siginfo_t info{};
  int result = 0;
  do {
    result = waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | flags);
  } while (result != 0 && errno == EINTR);
  CHECK(result == 0, "a child of ours was reaped by somebody else");
  if (info.si_pid == 0) return std::nullopt;
  return ProcessExit{.signalled = info.si_code != CLD_EXITED, .number = info.si_status};
}

}  // namespace penstock::fleet
