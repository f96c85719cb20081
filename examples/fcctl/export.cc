// fcctl export and import: a whole CMDB to a file, and into another store.
#include <algorithm>
#include <cstdio>

#include "examples/fcctl/commands.h"
#include "examples/fcctl/store.h"

namespace {

using nlohmann::json;

constexpr int kRounds = 20;

// A record that import would refuse is no backup.
bool CheckExport(const Store& store, std::string* error) {
  for (const auto& [key, value] : store.values) {
    uint32_t kind = 0;
    std::string name;
    Answer answer{FC_OK, ""};
    if (!ParseKey(key, &kind, &name)) {
      answer = {FC_E_INVALID, "is of no kind that this version knows"};
    } else if (kind != kRestoredKind) {
      answer = Check(kind, name, value.dump());
    }
    if (answer.code == FC_OK) continue;
    *error = key + ": " + answer.message;
    return false;
  }
  return true;
}

uint64_t HighestEpoch(const Records& records) {
  uint64_t highest = 0;
  for (const auto& [key, value] : records) {
    if (!value.is_object() || !value.contains("replicas") || !value["replicas"].is_array()) continue;
    for (const json& replica : value["replicas"])
      if (replica.is_object()) highest = std::max(highest, replica.value("epoch", uint64_t{0}));
  }
  return highest;
}

// What is there and not in the file stays, and wins.
Records Merged(const Store& store, const Records& file) {
  Records merged = store.values;
  for (const auto& [key, value] : file) merged.emplace(key, value);
  return merged;
}

// Placements are never deleted, and incarnations never fall.
Records Replaced(const Store& store, const Records& file, uint64_t epoch) {
  Records replaced = file;
  for (const auto& [key, value] : store.values) {
    uint32_t kind = 0;
    std::string name;
    if (!value.is_object() || !ParseKey(key, &kind, &name)) continue;
    const auto found = replaced.find(key);
    if (kind == FC_RECORD_HOST && found != replaced.end()) {
      const uint64_t incarnation =
          std::max(value.value("incarnation", uint64_t{0}), found->second.value("incarnation", uint64_t{0}));
      found->second["incarnation"] = incarnation;
    }
    if (kind != FC_RECORD_PLACEMENT) continue;
    // What was placed since this import began stays; what the file lacks ends, and keeps its epoch.
    if (HighestEpoch({{key, value}}) >= epoch) {
      replaced[key] = value;
    } else if (found == replaced.end()) {
      replaced[key] = value;
      replaced[key]["state"] = "deleted";
    }
  }
  return replaced;
}

class Import {
 public:
  Import(Command command, ImportMode mode, bool restored, Records file)
      : command_(command), mode_(mode), restored_(restored), file_(std::move(file)) {}

  int Run() {
    Answer answer;
    Summary summary;
    for (int round = 0; round < kRounds; ++round) {
      if (round > 0) command_.session.Pause(20 << std::min(round, 5));
      summary.clear();
      answer = Round(&summary);
      const bool again = answer.code == FC_E_CONFLICT || answer.code == FC_E_UNKNOWN_OUTCOME;
      if (!again) break;
      if (mode_ == ImportMode::kEmpty) {
        answer.message += "; some of it may have been written: look, and use --merge or --replace";
        break;
      }
    }
    if (answer.code != FC_OK) return Report("import", answer);
    PrintSummary(command_, summary);
    return kExitOk;
  }

 private:
  Answer Round(Summary* summary) {
    Store store;
    if (Answer answer = ReadStore(command_.session, &store); answer.code != FC_OK) return answer;
    if (mode_ == ImportMode::kEmpty && !store.values.empty())
      return {FC_E_EXISTS, "the CMDB has " + std::to_string(store.values.size()) + " records, " +
                               store.values.begin()->first +
                               " first: --merge adds what it lacks, --replace makes it what the file says"};
    Records wanted;
    if (epoch_ == 0) epoch_ = std::max(HighestEpoch(store.values), HighestEpoch(file_)) + 1;
    const bool restored = restored_ || mode_ == ImportMode::kReplace;
    if (restored) {
      for (const Records* records : {static_cast<const Records*>(&store.values), &file_})
        if (Answer answer = FirstEpochAfterRestore(*records, &epoch_); answer.code != FC_OK) return answer;
    }
    wanted = mode_ == ImportMode::kReplace ? Replaced(store, file_, epoch_) : Merged(store, file_);
    if (restored) {
      if (Answer answer = PutHeartbeats(command_.session, wanted); answer.code != FC_OK) return answer;
      MakeRestored(epoch_, std::max(RestoredCount(store.values), RestoredCount(file_)) + 1, &wanted);
    }
    return WriteChanges(command_.session, Difference(store, wanted, summary));
  }

  Command command_;
  const ImportMode mode_;
  const bool restored_;
  const Records file_;
  uint64_t epoch_ = 0;  // that every placement gets at least, if the store went back
};

}  // namespace

int Export(Command command, const std::string& path) {
  Store store;
  if (const Answer answer = ReadStore(command.session, &store); answer.code != FC_OK)
    return Report("export", answer);
  std::string error;
  if (!CheckExport(store, &error) || !WriteArchive(path, store.values, store.revision, &error)) {
    fprintf(stderr, "fcctl: export: %s\n", error.c_str());
    return kExitFailed;
  }
  return kExitOk;
}

int ImportFile(Command command, const std::string& path, ImportMode mode, bool restored) {
  Records records;
  std::string error;
  if (!ReadArchive(path, &records, &error)) {
    fprintf(stderr, "fcctl: %s\n", error.c_str());
    return kExitUsage;
  }
  return Import(command, mode, restored, std::move(records)).Run();
}
