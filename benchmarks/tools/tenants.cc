// tenants: sends requests of several tenants at the times that a schedule says, whatever comes
// back, and writes down what came.
//
//   tenants port=N key=KEY schedule=FILE records=FILE [tokens_max=2048] [quota=A:N,B:N quota_us=U]
// A line of the schedule: DUE_US ENDPOINT INPUT_TOKENS OUTPUT_TOKENS, in order of time. A line of
// the records: a JSON object {endpoint, due_us, first_us, end_us, status, input, output}; times
// from the start, -1 for what never came. With quota, an endpoint's requests are refused here while
// those of it that ENDED in the present window of quota_us cost that much (in + 5 * out):
// the limit after the fact of gateways that count an answer's tokens when it is over.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "http_message.h"
#include "line_socket.h"
#include "words.h"

namespace measure {
namespace {

struct Due {
  long due_us = 0;
  std::string endpoint;
  long input = 0;
  long output = 0;
};

struct Options {
  std::uint16_t port = 0;
  std::string key;
  long tokens_max = 2048;
  std::map<std::string, double> quota = {};  // By endpoint.
  long quota_us = 0;
};

long Microseconds(Nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

class Tenants {
 public:
  Tenants(Poller& poller, Options options, std::FILE* records)
      : poller_(poller), options_(std::move(options)), records_(records), start_(Now()) {}

  long now_us() const { return Microseconds(Now() - start_); }
  std::size_t running() const { return running_; }

  // Writes down what never came.
  void WriteUnanswered() {
    for (const auto& connection : connections_) {
      if (connection->busy()) Write(connection->Unanswered());
    }
  }

  void Send(const Due& due) {
    const auto quota = options_.quota.find(due.endpoint);
    if (quota != options_.quota.end() && Used(due.endpoint) >= quota->second) {
      Write({.due = due, .status = 429});
      return;
    }
    if (idle_.empty()) {
      connections_.push_back(std::make_unique<Connection>(*this));
      idle_.push_back(connections_.back().get());
    }
    Connection* const connection = idle_.back();
    idle_.pop_back();
    ++running_;
    connection->Ask(due);
  }

 private:
  struct Record {
    Due due;
    long first_us = -1;
    long end_us = -1;
    int status = 0;
    int events = 0;
  };

  class Connection final : public LineSocket {
   public:
    explicit Connection(Tenants& tenants)
        : LineSocket(tenants.poller_), tenants_(tenants), reader_(false) {}

    bool busy() const { return busy_; }
    Record Unanswered() const {
      Record record = record_;
      record.status = reader_.status();
      return record;
    }

    void Ask(const Due& due) {
      busy_ = true;
      record_ = {.due = due};
      reader_ = ResponseReader(false);
      if (!open()) Open(ConnectToLoopback(tenants_.options_.port), true);
      // Every prompt is unlike all others, as those of a trace without text must be.
      std::string body = fmt::format(
          R"({{"model":"{}","stream":true,"max_tokens":{},"x_output_tokens":{},"messages":[{{"role":"user","content":"{:012} )",
          due.endpoint, tenants_.options_.tokens_max, due.output, ++tenants_.serial_);
      const std::size_t bytes = static_cast<std::size_t>(due.input) * 4;
      constexpr std::string_view kEnd = R"("}]})";
      if (body.size() + kEnd.size() < bytes) body.append(bytes - body.size() - kEnd.size(), 'x');
      body += kEnd;
      LineSocket::Send(fmt::format(
          "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n"
          "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
          tenants_.options_.key, body.size(), body));
    }

   private:
    void OnBytes(std::string_view bytes) override {
      const auto progress = reader_.Feed(bytes);
      record_.events += progress.events;
      // The first event announces the role.
      if (record_.first_us < 0 && record_.events >= 2) record_.first_us = tenants_.now_us();
      if (progress.finished) Done();
    }
    void OnClosed() override {
      if (busy_) Done();
    }
    void Done() {
      busy_ = false;
      record_.status = reader_.status();
      record_.end_us = tenants_.now_us();
      tenants_.Ended(record_);
      tenants_.idle_.push_back(this);
    }

    Tenants& tenants_;
    ResponseReader reader_;
    Record record_;
    bool busy_ = false;
  };

  struct Window {
    long number = -1;
    double cost = 0;
  };

  double Used(const std::string& endpoint) {
    Window& window = windows_[endpoint];
    const long number = now_us() / options_.quota_us;
    if (window.number != number) window = {.number = number};
    return window.cost;
  }

  void Ended(const Record& record) {
    --running_;
    if (!options_.quota.empty() && record.status == 200) {
      (void)Used(record.due.endpoint);
      windows_[record.due.endpoint].cost +=
          static_cast<double>(record.due.input + 5 * record.due.output);
    }
    Write(record);
  }

  void Write(const Record& record) {
    fmt::print(records_,
               "{{\"endpoint\":\"{}\",\"due_us\":{},\"first_us\":{},\"end_us\":{},\"status\":{},"
               "\"input\":{},\"output\":{}}}\n",
               record.due.endpoint, record.due.due_us, record.first_us, record.end_us,
               record.status, record.due.input, record.due.output);
  }

  Poller& poller_;
  Options options_;
  std::FILE* records_;
  Nanoseconds start_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::map<std::string, Window> windows_;
  std::size_t running_ = 0;
  long serial_ = 0;
};

std::vector<Due> ReadSchedule(const std::string& path) {
  std::ifstream file(path);
  if (!file) Die(path);
  std::vector<Due> schedule;
  for (std::string line; std::getline(file, line);) {
    Due& due = schedule.emplace_back();
    std::istringstream(line) >> due.due_us >> due.endpoint >> due.input >> due.output;
  }
  return schedule;
}

// "a:100,b:200"
std::map<std::string, double> ReadQuotas(const std::string& text) {
  std::map<std::string, double> quotas;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t colon = part.find(':');
    if (colon == std::string::npos) Die(part);
    quotas[part.substr(0, colon)] = std::strtod(part.c_str() + colon + 1, nullptr);
  }
  return quotas;
}

int Run(Words words) {
  Options options{.port = static_cast<std::uint16_t>(words.TakeNumber("port", 0)),
                  .key = words.TakeText("key", ""),
                  .tokens_max = words.TakeNumber("tokens_max", 2048),
                  .quota = ReadQuotas(words.TakeText("quota", "")),
                  .quota_us = words.TakeNumber("quota_us", 60'000'000)};
  const std::vector<Due> schedule = ReadSchedule(words.TakeText("schedule", ""));
  const long grace_us = words.TakeNumber("grace_us", 10'000'000);
  const std::string path = words.TakeText("records", "");
  words.CheckAllTaken();
  std::FILE* const records = std::fopen(path.c_str(), "w");
  if (records == nullptr) Die(path);
  RaiseDescriptorLimit();
  Poller poller;
  Tenants tenants(poller, std::move(options), records);
  std::size_t next = 0;
  long latest_us = 0;  // How far behind the schedule it ever was.
  const long end_us = (schedule.empty() ? 0 : schedule.back().due_us) + grace_us;
  while ((next < schedule.size() || tenants.running() > 0) && tenants.now_us() < end_us) {
    for (; next < schedule.size() && schedule[next].due_us <= tenants.now_us(); ++next) {
      latest_us = std::max(latest_us, tenants.now_us() - schedule[next].due_us);
      tenants.Send(schedule[next]);
    }
    const long until = next < schedule.size() ? schedule[next].due_us - tenants.now_us() : 10'000;
    poller.Poll(std::chrono::microseconds(std::min(until, 10'000L)));
  }
  tenants.WriteUnanswered();
  std::fclose(records);
  fmt::print("{{\"sent\":{},\"unanswered\":{},\"latest_us\":{}}}\n", next, tenants.running(),
             latest_us);
  return 0;
}

}  // namespace
}  // namespace measure

int main(int count, char** arguments) {
  return measure::Run(measure::Words::FromArguments(count, arguments));
}
