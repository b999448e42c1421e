#include "meter/payload_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/file.h"

namespace penstock::meter {

PayloadLog::PayloadLog(std::string folder, PayloadLogSettings settings)
    : folder_(std::move(folder)), settings_(settings) {
  mkdir(folder_.c_str(), 0700);  // A failure shows when files are opened, and is counted.
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "penstock-payload");
    Run();
  });
}

PayloadLog::~PayloadLog() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void PayloadLog::Add(PayloadEntry entry) {
  const std::size_t bytes = entry.bytes();
  {
    const std::scoped_lock lock(mutex_);
    if (queue_bytes_ + bytes > settings_.queue_bytes_max) {
      ++counters_.dropped;
      return;
    }
    queue_bytes_ += bytes;
    queue_.push_back(std::move(entry));
  }
  changed_.notify_one();
}

void PayloadLog::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;  // And stopping.
    const PayloadEntry entry = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Write(entry);
    lock.lock();
    queue_bytes_ -= entry.bytes();
  }
}

// ENDPOINT.jsonl becomes ENDPOINT.1.jsonl, and so on; the oldest goes.
void PayloadLog::Rotate(const std::string& path) const {
  const auto name = [&path](int number) {
    return number == 0 ? path + ".jsonl" : fmt::format("{}.{}.jsonl", path, number);
  };
  (void)std::remove(name(settings_.files_max - 1).c_str());
  for (int number = settings_.files_max - 2; number >= 0; --number) {
    (void)std::rename(name(number).c_str(), name(number + 1).c_str());
  }
}

void PayloadLog::Write(const PayloadEntry& entry) {
  // Endpoints' names are letters, digits, '-' and '_': they are file names as they are.
  const std::string path = folder_ + "/" + entry.endpoint;
  const std::string line = ToJsonLine(entry);
  struct stat found{};
  const std::string present = path + ".jsonl";
  const bool exists = stat(present.c_str(), &found) == 0;
  if (exists &&
      static_cast<std::uint64_t>(found.st_size) + line.size() > settings_.file_bytes_max) {
    Rotate(path);
  }
  const Descriptor file(open(present.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const bool good =
      file && write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
  ++(good ? counters_.written : counters_.dropped);
}

}  // namespace penstock::meter
