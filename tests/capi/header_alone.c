/* The header compiles alone, as C90 and as C++, and included twice. */
#include <fastcontainer.h>

int fastcontainer_header_alone(void);
int fastcontainer_header_alone(void) {
  const fc_error error = FC_ERROR_INIT;
  const fc_ticket ticket = FC_TICKET_INIT;
  return (int)(error.struct_size + ticket.struct_size) + FC_VERSION_MINOR;
}
