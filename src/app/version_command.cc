// penstock version: what this binary is, and what it stands on.
#include <memory>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <simdjson.h>
#include <sqlite3.h>
#include <boost/version.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/version.h"
#include "engine/llama/backend.h"

namespace penstock::app {

namespace {

int PrintVersion(bool json) {
  if (json) {
    fmt::print(R"({{"version":"{}","llama_cpp":"{}","sqlite":"{}","openssl":"{}","simdjson":"{}"}})"
               "\n",
               kVersion, engine::LlamaVersion(), sqlite3_libversion(),
               OpenSSL_version(OPENSSL_VERSION_STRING), SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  } else {
    fmt::print("penstock {}\nllama.cpp {}\nSQLite {}\nOpenSSL {}\nsimdjson {}\n", kVersion,
               engine::LlamaVersion(), sqlite3_libversion(),
               OpenSSL_version(OPENSSL_VERSION_STRING), SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  }
  return kExitGood;
}

}  // namespace

void AddVersionCommand(Program& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = program.Add("version", "Print the version and those of the libraries",
                                  [json] { return PrintVersion(*json); });
  AddSwitch(*command, "--json", *json, "As JSON");
}

}  // namespace penstock::app
