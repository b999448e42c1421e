// Limits: everything that a peer could make large or slow, by name. Zero durations are not allowed.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace penstock::http {

struct HeadLimits {
  std::size_t bytes_max = 32 * 1024;        // Request or status line, fields and empty line.
  std::size_t fields_max = 128;             // Fields of one head.
  std::size_t target_bytes_max = 8 * 1024;  // The request target alone.
};

struct ChunkLimits {
  std::size_t size_digits_max = 16;          // Hexadecimal digits of a chunk's size.
  std::size_t extension_bytes_max = 256;     // Of one chunk; they are dropped.
  std::size_t trailer_bytes_max = 8 * 1024;  // All trailer fields; they are dropped.
};

struct ServerLimits {
  HeadLimits head = {};
  ChunkLimits chunk = {};
  std::size_t body_bytes_max = 16 * 1024 * 1024;   // Decoded body of one request.
  std::size_t connections_max = 16384;             // Open at once; more are told 503 and closed.
  std::size_t requests_per_connection_max = 0;     // 0: no limit.
  std::size_t pipelined_bytes_max = 64 * 1024;     // Bytes that came before their turn.
  std::size_t unread_body_bytes_max = 256 * 1024;  // Drained to keep a connection, else closed.

  Duration head_wait_max = std::chrono::seconds(10);  // From a head's first byte to its last.
  Duration idle_max = std::chrono::seconds(75);       // Between two requests of a connection.
  Duration body_progress_wait_max = std::chrono::seconds(30);  // For body_progress_bytes_min.
  std::size_t body_progress_bytes_min = 4 * 1024;  // Or what is left of the body, if that is less.
  Duration write_stall_max = std::chrono::seconds(30);  // For one write to be taken whole.
  Duration linger_max = std::chrono::seconds(2);  // Lets a refused client read why, after an error.
};

struct ClientLimits {
  HeadLimits head = {};
  ChunkLimits chunk = {};
  Duration connect_wait_max = std::chrono::seconds(5);  // The request's deadline holds too.
  std::size_t interim_responses_max = 8;                // 1xx heads before the final one.
  std::size_t idle_per_origin_max = 256;                // Kept connections; more are closed.
  Duration idle_max = std::chrono::seconds(50);  // Less than most servers' own keep-alive limit.
};

}  // namespace penstock::http
