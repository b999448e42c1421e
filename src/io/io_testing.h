// For tests of io and of what stands on it: the loops that a typed test runs on, and short ways to
// get connected streams.
//
//   TYPED_TEST_SUITE(MyTest, LoopKinds);   // MyTest derives from OnLoop<TypeParam>.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/random.h"
#include "io/epoll/epoll_loop.h"
#include "io/loop.h"
#include "io/sim/sim_loop.h"
#include "io/task_scope.h"

namespace penstock::io::testing {

struct RealKind {
  EpollLoop loop;
};

struct SimKind {
  SimLoop loop;
};

// Everything that the network may do to a program without breaking a connection.
struct HarshSimKind {
  SimLoop loop{SimOptions{.seed = 7,
                          .buffer_size = 1000,
                          .segment_size_max = 300,
                          .short_read = 0.5,
                          .short_write = 0.5,
                          .coalesce = 0.5}};
};

using LoopKinds = ::testing::Types<RealKind, SimKind, HarshSimKind>;

// A value that the test cannot go on without.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
inline void Must(Status status) {
  if (!status) throw std::runtime_error(status.error().message);
}

template <typename Kind>
class OnLoop : public ::testing::Test {
 protected:
  Loop& loop() { return kind_.loop; }
  void Run(Task<void> task) { RunBlocking(kind_.loop, std::move(task)); }

 private:
  Kind kind_;
};

inline Address AnyTcp() { return Address{.host = "127.0.0.1", .port = 0}; }
inline Address AnyUnix() {
  static int number = 0;
  return Address{.kind = Address::Kind::kUnix,
                 .host = ::testing::TempDir() + "penstock-" + std::to_string(getpid()) + "-" +
                         std::to_string(++number)};
}

// Two ends of one connection.
struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

inline Task<Pair> ConnectPair(Loop& loop, Address where = AnyTcp()) {
  const std::unique_ptr<Listener> listener = Must(loop.Listen(where, {}));
  Pair pair;
  pair.client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  pair.server = Must(co_await listener->Accept());
  co_return pair;
}

// Reads `size` bytes, or fewer if the peer ends before.
inline Task<Result<std::string>> ReadExactly(Stream& stream, std::size_t size,
                                             Deadline deadline = Deadline::Never()) {
  std::string text(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const Result<std::size_t> count = co_await stream.Read(std::span(text).subspan(have), deadline);
    if (!count) co_return Fail(count.error());
    if (*count == 0) break;
    have += *count;
  }
  text.resize(have);
  co_return text;
}

// Reads until the peer ends its side.
inline Task<Result<std::string>> ReadToEnd(Stream& stream, Deadline deadline = Deadline::Never()) {
  std::string text;
  std::string piece(65536, '\0');
  for (;;) {
    const Result<std::size_t> count = co_await stream.Read(piece, deadline);
    if (!count) co_return Fail(count.error());
    if (*count == 0) co_return text;
    text.append(piece, 0, *count);
  }
}

// The code of a failed result.
template <typename T>
Code CodeOf(const Result<T>& result) {
  return result ? Code::kInternal : result.error().code;
}

// Text whose every part is its own, so that loss and disorder show.
inline std::string Noise(std::size_t size) {
  std::string text(size, '\0');
  Random random(size);
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.Next();
    std::memcpy(text.data() + at, &word, std::min(sizeof word, size - at));
  }
  return text;
}

}  // namespace penstock::io::testing
