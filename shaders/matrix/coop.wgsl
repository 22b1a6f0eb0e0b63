// Matrices that a subgroup holds together, by wgpu's names. In workgroup memory they lie by rows, the right ones turned.
alias Left = COOP<ELEMENT, A>;
alias Right = COOP<ELEMENT, B>;
alias Sum = COOP<f32, C>;

fn left_at(at: u32) -> Left {
    return coopLoadT<Left>(&left[at], DISTANCE);
}

fn right_at(at: u32) -> Right {
    return coopLoad<Right>(&right[at], DISTANCE);
}

fn sum_at(at: u32) -> Sum {
    return coopLoadT<Sum>(&results[at], MATRIX_COLUMNS);
}

fn with_product(a: Left, b: Right, sum: Sum) -> Sum {
    return coopMultiplyAdd(a, b, sum);
}

fn put(sum: Sum, at: u32) {
    coopStoreT(sum, &results[at], MATRIX_COLUMNS);
}
