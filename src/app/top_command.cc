// penstock top: endpoints at work, live in a terminal.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"
#include "app/remote.h"
#include "app/top_view.h"
#include "base/clock.h"

namespace penstock::app {

namespace {

// Latencies are those of this long, so that a quiet endpoint still shows some.
constexpr double kLatencySpanS = 60;

struct TopOptions {
  RemoteOptions remote;
  int interval_s = 2;
  int count = 0;
  std::string endpoint;
  bool lines = false;
};

// The terminal as we need it: keys at once and unseen, Ctrl-C among them, a screen of our own; and
// as it was at the end.
class Terminal {
 public:
  Terminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
    Say("\x1b[?1049h\x1b[?25l");  // The other screen, no cursor.
  }
  ~Terminal() {
    Say("\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  static void Size(TopFrame& frame) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return;
    frame.width = size.ws_col;
    frame.height = size.ws_row;
  }

  // In place, line by line, so that nothing flickers.
  static void Show(const std::string& screen) {
    std::string text = "\x1b[H";
    for (const char c : screen) {
      if (c == '\n') text += "\x1b[K\r";
      text += c;
    }
    if (text.ends_with('\n')) text.pop_back();
    Say(text + "\x1b[J");
  }

 private:
  static void Say(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  termios before_{};
};

std::string TimeOfDay() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%H:%M:%S}", fmt::localtime(now));
}

// Waits for a key or the time; 0: no key.
char WaitForKey(Duration wait, bool has_keys) {
  pollfd keys{.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const int ms =
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count());
  char key = 0;
  if (poll(&keys, 1, std::max(ms, 0)) == 1 && read(STDIN_FILENO, &key, 1) != 1) return 'q';
  return key;
}

class Top {
 public:
  explicit Top(const TopOptions& options) : options_(options) {}

  // Asks the server and keeps what it said. Errors: it does not answer.
  Status Read() {
    const auto answer = CallServer(options_.remote, "GET", "/metrics", "");
    if (!answer) return Fail(answer.error());
    if (answer->status != 200) {
      return Fail(Code::kUpstream, fmt::format("the server answered {}", answer->status));
    }
    readings_.push_back(ReadMetrics(answer->body, Seconds(Clock::now().time_since_epoch())));
    while (readings_.size() > 2 && readings_[1].at_s < readings_.back().at_s - kLatencySpanS) {
      readings_.pop_front();
    }
    return {};
  }

  std::vector<TopRow> Rows() const {
    const TopReading& newest = readings_.back();
    const TopReading& before = readings_.size() > 1 ? readings_[readings_.size() - 2] : newest;
    std::vector<TopRow> rows = RowsOf(before, newest, readings_.front());
    if (!options_.endpoint.empty()) {
      std::erase_if(rows, [&](const TopRow& row) { return row.endpoint != options_.endpoint; });
    }
    Sort(rows, order_);
    return rows;
  }

  // False: the user has seen enough.
  bool TakeKey(char key) {
    if (key == 'n') order_ = TopOrder::kName;
    if (key == 't') order_ = TopOrder::kRate;
    if (key == 'u') order_ = TopOrder::kUtilisation;
    if (key == 'e') order_ = TopOrder::kRefused;
    return key != 'q' && key != 3 && key != 4;
  }

  bool empty() const { return readings_.empty(); }
  std::size_t size() const { return readings_.size(); }
  const TopReading& newest() const { return readings_.back(); }

 private:
  const TopOptions& options_;
  std::deque<TopReading> readings_;
  TopOrder order_ = TopOrder::kName;
};

// What one round says, and on what.
void Show(const Top& top, TopFrame frame, bool screen) {
  frame.time = TimeOfDay();
  if (screen) {
    Terminal::Size(frame);
    Terminal::Show(top.empty() ? RenderScreen(frame, {}, {})
                               : RenderScreen(frame, top.newest(), top.Rows()));
    return;
  }
  const std::string lines = RenderLines(frame, top.empty() ? std::vector<TopRow>() : top.Rows());
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  std::fflush(stdout);
}

int Run(const TopOptions& options) {
  const bool screen = !options.lines && isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1;
  Top top(options);
  // At the first reading a problem is one of usage; later the server may come back.
  if (const Status read = top.Read(); !read) return Report(read.error());
  if (!options.endpoint.empty() && top.Rows().empty()) {
    fmt::print(stderr, "penstock: --endpoint {}: there is none of that name\n", options.endpoint);
    return kExitMissedGoal;
  }
  TopFrame frame{
      .server = options.remote.server.empty() ? options.remote.data_dir : options.remote.server,
      .colours = screen};
  const auto terminal = screen ? std::make_unique<Terminal>() : nullptr;
  const Duration interval = std::chrono::seconds(options.interval_s);
  if (screen) Show(top, frame, screen);
  TimePoint next = Clock::now() + (screen ? Duration(std::chrono::seconds(1)) : interval);
  for (int shown = 0; options.count == 0 || shown < options.count;) {
    const char key = WaitForKey(next - Clock::now(), screen);
    if (!top.TakeKey(key)) break;
    if (Clock::now() >= next) {
      next = Clock::now() + interval;
      const Status read = top.Read();
      frame.problem = read ? "" : read.error().message;
      ++shown;
    } else if (key == 0) {
      continue;
    }
    Show(top, frame, screen);
  }
  return kExitGood;
}

}  // namespace

void AddTopCommand(Program& program) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* command =
      program.Add("top", "Endpoints at work, live: rates, utilisation, latencies, queues, replicas",
                  [options] { return Run(*options); });
  AddRemoteFlags(*command, options->remote);
  AddFlag(*command, "--interval-s", options->interval_s, "Seconds between two readings")
      ->check(CLI::Range(1, 3600));
  AddFlag(*command, "--count", options->count, "End after so many readings; 0: never")
      ->check(CLI::NonNegativeNumber);
  AddFlag(*command, "--endpoint", options->endpoint, "Of this endpoint only");
  AddSwitch(*command, "--lines", options->lines,
            "Lines instead of a screen, as without a terminal: one per endpoint and reading");
}

}  // namespace penstock::app
