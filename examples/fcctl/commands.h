// The commands of fcctl. Each returns an exit status and has said on standard error what went wrong.
#ifndef FASTCONTAINER_EXAMPLES_FCCTL_COMMANDS_H_
#define FASTCONTAINER_EXAMPLES_FCCTL_COMMANDS_H_

#include <optional>
#include <string>
#include <vector>

#include "examples/fcctl/session.h"

struct Command {
  Session& session;
  bool json;
};

std::optional<uint32_t> KindOf(const std::string& name);
const char* KindName(uint32_t kind);
// Prints "fcctl: what: the answer's message" and gives the exit status of the answer's code.
int Report(const std::string& what, const Answer& answer);

int Apply(Command command, const std::string& path);
int Get(Command command, uint32_t kind, const std::string& name);
int List(Command command, uint32_t kind);
int Delete(Command command, uint32_t kind, const std::string& name);
int Place(Command command, const std::string& container, const std::string& host);
int Drain(Command command, const std::string& host);
int Undrain(Command command, const std::string& host);
int Ps(Command command);

// `words` after "scores": none, or as the help has them.
int Scores(Command command, const std::vector<std::string>& words);

// "-": standard output and input.
int Export(Command command, const std::string& path);
enum class ImportMode { kEmpty, kMerge, kReplace };
int ImportFile(Command command, const std::string& path, ImportMode mode, bool restored);
int Restored(Command command);

struct WatchArguments {
  std::string prefix;
  uint64_t count = 0;       // of changes; 0: no end
  int64_t timeout_ms = -1;  // -1: none
};
int Watch(Command command, const WatchArguments& arguments);

#endif  // FASTCONTAINER_EXAMPLES_FCCTL_COMMANDS_H_
