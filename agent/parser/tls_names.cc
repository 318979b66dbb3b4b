#include "agent/parser/tls_names.h"
