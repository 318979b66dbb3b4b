#include "agent/session/assembler.h"
