#include "capi/include/fastcontainer.h"

extern "C" {

const char* fc_code_name(int32_t code) {
  switch (code) {
    case FC_OK:
      return "FC_OK";
    case FC_PENDING:
      return "FC_PENDING";
    case FC_E_INVALID:
      return "FC_E_INVALID";
    case FC_E_NOMEM:
      return "FC_E_NOMEM";
    case FC_E_SYSTEM:
      return "FC_E_SYSTEM";
    case FC_E_NOT_FOUND:
      return "FC_E_NOT_FOUND";
    case FC_E_UNKNOWN_KEY:
      return "FC_E_UNKNOWN_KEY";
    case FC_E_NO_HOST:
      return "FC_E_NO_HOST";
    case FC_E_CMDB:
      return "FC_E_CMDB";
    case FC_E_START_FAILED:
      return "FC_E_START_FAILED";
    case FC_E_QUEUE_FULL:
      return "FC_E_QUEUE_FULL";
    case FC_E_TIMEOUT:
      return "FC_E_TIMEOUT";
    case FC_E_UNSAFE:
      return "FC_E_UNSAFE";
    case FC_E_ISOLATED:
      return "FC_E_ISOLATED";
    case FC_E_BUDGET:
      return "FC_E_BUDGET";
    case FC_E_SHUTDOWN:
      return "FC_E_SHUTDOWN";
    case FC_E_CONFLICT:
      return "FC_E_CONFLICT";
    case FC_E_UNKNOWN_OUTCOME:
      return "FC_E_UNKNOWN_OUTCOME";
    case FC_E_UNSUPPORTED:
      return "FC_E_UNSUPPORTED";
    case FC_E_PERMISSION:
      return "FC_E_PERMISSION";
    case FC_E_EXISTS:
      return "FC_E_EXISTS";
    case FC_E_VETO:
      return "FC_E_VETO";
    default:
      return "FC_E_?";
  }
}

static_assert(FC_VERSION_MAJOR == 0 && FC_VERSION_MINOR == 1 && FC_VERSION_PATCH == 0,
              "the text says so too");
const char* fc_version(void) { return "0.1.0"; }

}  // extern "C"
