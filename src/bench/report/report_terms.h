// The words of a report and what they mean, for readers who were not there.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace penstock::bench {

inline constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kReportTerms = {{
    {"Token",
     "The piece of text that a model reads and writes: about three quarters of an English "
     "word. Counted by the server."},
    {"TTFT, time to first token",
     "From the moment a request was due to the first piece of the reply that carries text, be it "
     "content, reasoning or a tool call. The empty chunk that opens a stream does not count."},
    {"TPOT, time per output token",
     "(last chunk − first chunk) ÷ (output tokens − tokens in the first chunk). 100 ms is ten "
     "tokens "
     "a second, about 450 words a minute: faster than most people read."},
    {"Latency",
     "From the moment a request was due to its last token. It equals "
     "TTFT + TPOT × (output tokens − tokens in the first chunk)."},
    {"Concurrency",
     "Requests under way at the same time. In a closed loop each worker sends its next "
     "request as soon as the last is answered."},
    {"Throughput",
     "Tokens per second over all concurrent requests, within the steady window of a "
     "level: the span in which every worker was busy. Total adds input tokens."},
    {"p50, p90, p99",
     "Half, nine tenths, and 99 hundredths of the requests were at least this fast. "
     "Each is the time of a request that was really made."},
    {"Balanced",
     "The level with the most output throughput ÷ median latency. Below it capacity lies "
     "idle; above it requests mostly wait for each other."},
    {"Warm-up",
     "The first requests of each level. They load the server, and are left out of every "
     "time shown here."},
}};

}  // namespace penstock::bench
