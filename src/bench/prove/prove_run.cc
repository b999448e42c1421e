#include "bench/prove/prove_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <utility>

#include "bench/drive/environment.h"
#include "bench/drive/fit.h"
#include "bench/drive/prepare.h"
#include "bench/drive/progress_display.h"
#include "bench/drive/resolve.h"
#include "bench/prove/prove_gather.h"
#include "bench/workload/composer.h"
#include "bench/workload/corpus.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr Duration kStopLook = std::chrono::milliseconds(200);
constexpr int kConnectionsMax = 4096;

struct Party {
  std::string url;
  std::string model;
  std::string api_key;
};

Party Neighbour(const ProveOptions& options) {
  const auto or_mine = [](const std::string& theirs, const std::string& mine) {
    return theirs.empty() ? mine : theirs;
  };
  return {.url = or_mine(options.neighbour_url, options.url),
          .model = or_mine(options.neighbour_model, options.model),
          .api_key = or_mine(options.neighbour_api_key, options.api_key)};
}

bool HasNeighbour(const ProveOptions& options) {
  return !options.neighbour_url.empty() || !options.neighbour_model.empty() ||
         !options.neighbour_api_key.empty();
}

Result<DriverSettings> SettingsFor(const ProveOptions& options, const Party& party,
                                   TimePoint start) {
  auto endpoint = Endpoint::FromUrl(party.url, std::nullopt, options.api_version);
  if (!endpoint) return Fail(endpoint.error());
  auto origin = ResolveOrigin(*endpoint, options.insecure);
  if (!origin) return Fail(origin.error());
  auto headers = ParseHeaders(options.headers);
  if (!headers) return Fail(headers.error());
  DriverSettings settings;
  settings.endpoint = std::move(*endpoint);
  settings.origin = std::move(*origin);
  settings.model = party.model;
  settings.api_key = party.api_key;
  settings.key_field = settings.endpoint.key_field;
  settings.headers = std::move(*headers);
  settings.timeout = options.timeout;
  settings.workers_max = kConnectionsMax;
  settings.start = start;
  return settings;
}

RunHeader HeaderFor(const ProveOptions& options, const std::string& url, const Corpus& corpus) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  RunHeader header;
  header.started_at = UtcText(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  header.environment = ReadEnvironment();
  header.settings.url = url;
  header.settings.model = options.model;
  header.settings.mode = "prove";
  header.settings.input_tokens = options.terms.input_tokens;
  header.settings.output_tokens = options.terms.output_tokens;
  header.settings.timeout_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout).count();
  header.settings.seed = options.seed;
  header.settings.salt = static_cast<std::uint64_t>(now.count());
  header.settings.corpus = corpus.name();
  header.settings.budget = options.terms.budget.Text();
  header.settings.command = options.command;
  header.self_test = options.self_test;
  return header;
}

io::Task<void> FitInto(Driver& driver, Result<FitReport>& report) {
  report = co_await Fit(driver, {}, [](int, int) {});
}

// Ends the drivers once `stop` is set; is ended by its scope otherwise.
io::Task<void> WatchStop(io::Loop& loop, const std::atomic<bool>& stop, Driver& buyer,
                         Driver* neighbour) {
  while (!stop.load(std::memory_order_relaxed)) {
    if (!co_await loop.Sleep(kStopLook)) co_return;
  }
  buyer.Stop();
  if (neighbour != nullptr) neighbour->Stop();
}

struct Work {
  io::Loop& loop;
  Driver& buyer;
  Driver* neighbour;
  bool neighbour_elsewhere;
  const ProveOptions& options;
  const std::atomic<bool>& stop;
  ProgressDisplay& display;
  ProofEvidence& evidence;
  Result<FitReport> fitted = Fail(Code::kCancelled, "the proof was stopped");
};

io::Task<void> Run(Work& work) {
  io::TaskScope watch(work.loop);
  watch.Spawn("stop", WatchStop(work.loop, work.stop, work.buyer, work.neighbour));
  co_await work.buyer.RunStoppable(FitInto(work.buyer, work.fitted));
  if (work.fitted && work.neighbour != nullptr) {
    if (work.neighbour_elsewhere) {
      co_await work.neighbour->RunStoppable(FitInto(*work.neighbour, work.fitted));
    } else {
      work.neighbour->composer() = work.buyer.composer();
      work.neighbour->settings().enforcement = work.buyer.settings().enforcement;
    }
  }
  if (work.fitted) {
    co_await work.buyer.RunStoppable(GatherProof(
        {.buyer = &work.buyer, .neighbour = work.neighbour}, work.options.terms, work.evidence,
        [&work](const ProgressState& state) { work.display.Show(state, work.loop.Now()); }));
  }
  watch.Stop();
  co_await watch.Join();
}

Status KeepEvidence(const std::string& path, const ProofEvidence& evidence) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << EvidenceText(evidence);
  file.close();
  if (file) return {};
  return Fail(Code::kInvalidArgument, fmt::format("evidence {} cannot be written", path),
              "evidence");
}

}  // namespace

Result<Proof> RunProve(const ProveOptions& options, const std::atomic<bool>& stop) {
  if (auto good = options.terms.Check(); !good) return Fail(good.error());
  auto corpus = options.corpus_path.empty() ? Result<Corpus>(Corpus::Shipped())
                                            : Corpus::FromFile(options.corpus_path);
  if (!corpus) return Fail(corpus.error());
  if (auto room = ReserveDescriptors(kConnectionsMax); !room) return Fail(room.error());
  const TimePoint start = Clock::now();
  const auto mine = SettingsFor(options, {options.url, options.model, options.api_key}, start);
  if (!mine) return Fail(mine.error());
  const RunHeader header = HeaderFor(options, mine->endpoint.url, *corpus);
  auto mix = Mix::Parse("");
  if (!mix) return Fail(mix.error());
  mix->parts.front().input = Lengths::Fixed(options.terms.input_tokens);
  mix->parts.front().output = Lengths::Fixed(options.terms.output_tokens);
  const Composer composer(
      *corpus, {.mix = std::move(*mix), .seed = options.seed, .salt = header.settings.salt});
  const auto ignore = [](const RequestRecord&, const Texts&) {};
  io::EpollLoop loop;
  Driver buyer(loop, *mine, composer, ignore);
  std::optional<Driver> neighbour;
  if (HasNeighbour(options)) {
    const auto theirs = SettingsFor(options, Neighbour(options), start);
    if (!theirs) return Fail(theirs.error());
    neighbour.emplace(loop, *theirs, composer, ignore);
  }
  ProofEvidence evidence;
  {
    ProgressDisplay display(STDERR_FILENO, options.progress, options.on_progress);
    Work work{.loop = loop,
              .buyer = buyer,
              .neighbour = neighbour ? &*neighbour : nullptr,
              .neighbour_elsewhere = !options.neighbour_url.empty(),
              .options = options,
              .stop = stop,
              .display = display,
              .evidence = evidence};
    io::RunBlocking(loop, Run(work));
    if (!work.fitted) return Fail(work.fitted.error());
  }
  if (!options.evidence_path.empty()) {
    if (auto kept = KeepEvidence(options.evidence_path, evidence); !kept) return Fail(kept.error());
  }
  return JudgeProof(options.terms, evidence, header);
}

}  // namespace penstock::bench
