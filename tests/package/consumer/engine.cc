// The C++ API of the installed static library.
#include "fastcontainer/engine.h"

#include <poll.h>

#include <cstdio>

#include "fastcontainer/records.h"

int main() {
  fastcontainer::EngineOptions options;
  options.cmdb_url = "memory:";
  auto engine = fastcontainer::Engine::Create(std::move(options));
  if (!engine.ok()) {
    std::puts(engine.status().ToString().c_str());
    return 1;
  }
  bool done = false;
  bool absent = false;
  const std::string key = fastcontainer::RecordKey(fastcontainer::RecordKind::kSpec, "site");
  (*engine)->cmdb().Get(key, fastcontainer::ReadMode::kLinearizable,
                        [&](const absl::StatusOr<fastcontainer::Record>& record) {
                          done = true;
                          absent = record.ok() && record->revision == 0;
                        });
  while (!done) {
    pollfd ready{(*engine)->fd(), POLLIN, 0};
    poll(&ready, 1, 1000);
    (*engine)->Process(0);
  }
  return absent ? 0 : 1;
}
