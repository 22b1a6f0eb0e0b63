// What a subgroup sums up: 2 x 2 matrices, each by its name: in an array, which a loop may walk, they could not be registers.
struct Sums {
    s00: Sum,
    s01: Sum,
    s10: Sum,
    s11: Sum,
}

// Each as the one that lies there.
fn sums_at(at: u32) -> Sums {
    let sum = sum_at(at);
    return Sums(sum, sum, sum, sum);
}

// Adds the products of what begins at a row of the left and of the right, one matrix deep.
fn add_products(sums: ptr<function, Sums>, left_from: u32, right_from: u32) {
    let a0 = left_at(left_from);
    let a1 = left_at(left_from + MATRIX_ROWS * DISTANCE);
    let b0 = right_at(right_from);
    (*sums).s00 = with_product(a0, b0, (*sums).s00);
    (*sums).s10 = with_product(a1, b0, (*sums).s10);
    let b1 = right_at(right_from + MATRIX_COLUMNS * DISTANCE);
    (*sums).s01 = with_product(a0, b1, (*sums).s01);
    (*sums).s11 = with_product(a1, b1, (*sums).s11);
}

// Puts one of them, counted by rows, where all threads can read it.
fn put_one(sums: ptr<function, Sums>, which: u32, at: u32) {
    switch which {
        case 0u: {
            put((*sums).s00, at);
        }
        case 1u: {
            put((*sums).s01, at);
        }
        case 2u: {
            put((*sums).s10, at);
        }
        default: {
            put((*sums).s11, at);
        }
    }
}
